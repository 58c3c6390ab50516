/** The method by which Node asks an object how to show it; other hosts ignore it. */
export const inspect: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** util.inspect, which Node passes to that method. */
export type Inspect = (value: unknown, options: unknown) => string;
