/** The SPs of the demonstration. */
export const ACCOUNTS = [
  { sourceAddr: '900001', secret: 'a secret of 900001', accessNumber: '10690001' },
  { sourceAddr: '900002', secret: 'a secret of 900002', accessNumber: '10690002' },
] as const;
