/** The page, without any library: prices as they come, over Server-Sent Events. */
export const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Stock ticker</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 46rem; color: #222; }
  table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
  td, th { padding: .4rem .8rem; border-bottom: 1px solid #ddd; text-align: right; font-variant-numeric: tabular-nums; }
  td:first-child, th:first-child { text-align: left; }
  canvas { width: 12rem; height: 2rem; }
  .up { color: #087f23; } .down { color: #b00020; } .gone { opacity: .35; }
</style>
<h1>Stock ticker</h1>
<table><thead><tr><th>symbol<th>price<th>number<th>the last minute</thead><tbody id="quotes"></tbody></table>
<table><thead><tr><th>server<th>connections<th>at number<th>pushes sent</thead><tbody id="servers"></tbody></table>
<p id="verdict">connecting…</p>
<script>
  const rows = new Map(), seen = new Map();
  const cell = (row, text) => { const td = row.insertCell(); td.textContent = text ?? ''; return td; };
  function quote({ symbol, seq, price }) {
    let row = rows.get(symbol);
    if (!row) {
      const tr = document.getElementById('quotes').insertRow();
      cell(tr, symbol);
      row = { price: cell(tr), seq: cell(tr), canvas: cell(tr).appendChild(document.createElement('canvas')), past: [] };
      row.canvas.width = 240; row.canvas.height = 40;
      rows.set(symbol, row);
    }
    row.price.className = price >= (row.past.at(-1) ?? price) ? 'up' : 'down';
    row.price.textContent = price.toFixed(2);
    row.seq.textContent = seq;
    row.past = [...row.past, price].slice(-600);
    const g = row.canvas.getContext('2d');
    g.clearRect(0, 0, 240, 40); g.beginPath();
    row.past.forEach((p, i) => g.lineTo(i * 240 / 600, 40 - (p - 70) * 40 / 60));
    g.strokeStyle = '#1565c0'; g.stroke();
  }
  function state({ verdict, servers }) {
    const body = document.getElementById('servers');
    body.replaceChildren();
    for (const { name, address, connections, seq, sent } of servers) {
      const tr = body.insertRow();
      cell(tr, name + ' ' + address); cell(tr, connections); cell(tr, seq); cell(tr, sent);
      if (seen.get(address) === sent) tr.className = 'gone';
      seen.set(address, sent);
    }
    const { clients, quotes, backwards, missed } = verdict;
    const p = document.getElementById('verdict');
    p.className = backwards + missed === 0 ? 'up' : 'down';
    p.textContent = clients + ' clients, ' + quotes.toLocaleString('en-US') + ' prices checked: ' +
      backwards + ' went backwards, ' + missed + ' were missed.';
  }
  const source = new EventSource('events');
  source.addEventListener('quotes', ({ data }) => JSON.parse(data).forEach(quote));
  source.addEventListener('state', ({ data }) => state(JSON.parse(data)));
</script>
`;
