/**
 * The same object with some members of its own: a driver of which one answer is another one. What
 * is left out is asked of the object itself, which may keep its state in private fields.
 */
export function withMethods<Target extends object>(
  target: Target,
  members: Partial<Target>,
): Target {
  return new Proxy(target, {
    get(all, key) {
      if (Object.hasOwn(members, key)) return Reflect.get(members, key);
      const value: unknown = Reflect.get(all, key, all);
      return typeof value === 'function' ? value.bind(all) : value;
    },
  });
}
