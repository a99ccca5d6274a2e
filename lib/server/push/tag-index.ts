/**
 * Which members carry which tags. A tag without members, and a member without tags, takes no room: sessions that
 * are in no group cost nothing, and one that is forgotten leaves nothing behind.
 */
export class TagIndex<M extends object> {
  readonly #members = new Map<string, Set<M>>();
  readonly #tags = new Map<M, Set<string>>();

  /** Tags in use. */
  get size(): number {
    return this.#members.size;
  }

  add(member: M, tag: string): void {
    entry(this.#members, tag).add(member);
    entry(this.#tags, member).add(tag);
  }

  remove(member: M, tag: string): void {
    drop(this.#members, tag, member);
    drop(this.#tags, member, tag);
  }

  /** Takes all its tags away. */
  forget(member: M): void {
    const tags = this.#tags.get(member);
    if (tags === undefined) return;
    this.#tags.delete(member);
    for (const tag of tags) drop(this.#members, tag, member);
  }

  tagsOf(member: M): ReadonlySet<string> {
    return this.#tags.get(member) ?? NONE;
  }

  membersOf(tag: string): ReadonlySet<M> {
    return this.#members.get(tag) ?? NONE;
  }
}

const NONE: ReadonlySet<never> = new Set<never>();

function entry<K, V>(map: Map<K, Set<V>>, key: K): Set<V> {
  let set = map.get(key);
  if (set === undefined) {
    set = new Set();
    map.set(key, set);
  }
  return set;
}

function drop<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const set = map.get(key);
  if (set?.delete(value) === true && set.size === 0) map.delete(key);
}
