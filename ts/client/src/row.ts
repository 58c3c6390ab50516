import { KalamCellValue, wrapServerRow, type RowData } from './cell.js';
import { BoundFileRef, type FileRefContext } from './file.js';
import { inspect, type Inspect } from './inspect.js';
import type { ServerMessage } from './messages.js';

/** A row of a table that is known, so that its files know their addresses. */
export class KalamRow<T = Record<string, unknown>> {
  /** The cells as they came. */
  readonly data: T;
  readonly #context: FileRefContext;
  #cells: RowData | undefined;

  constructor(data: T, context: FileRefContext) {
    this.data = data;
    this.#context = context;
  }

  cell(column: string): KalamCellValue {
    return KalamCellValue.sent((this.data as Record<string, unknown>)[column]);
  }

  /** All cells, wrapped. */
  get typedData(): RowData {
    return (this.#cells ??= wrapServerRow(this.data as Record<string, unknown>));
  }

  /** The file of a FILE column. */
  file(column: string): BoundFileRef | null {
    const ref = this.cell(column).asFile();
    return ref && new BoundFileRef(ref, this.#context);
  }

  [inspect](_depth: number, options: unknown, show: Inspect): unknown {
    return `KalamRow ${show(this.data, options)}`;
  }
}

/** Wraps rows as they came. */
export function wrapRows<T = Record<string, unknown>>(rows: readonly T[], context: FileRefContext): KalamRow<T>[] {
  return rows.map((row) => new KalamRow(row, context));
}

/** An event of a subscription with its rows wrapped. */
export class KalamChange<T = Record<string, unknown>> {
  /** `insert`, `update` or `delete` for a change, else the type of the event. */
  readonly type: string;
  readonly rows: KalamRow<T>[];
  readonly oldValues: KalamRow<T>[];
  readonly raw: ServerMessage;

  constructor(event: ServerMessage, context: FileRefContext) {
    this.raw = event;
    this.type = event.type === 'change' ? event.change_type : event.type;
    const plain = (rows: RowData[] | undefined) =>
      (rows ?? []).map((row) => new KalamRow(Object.fromEntries(Object.entries(row).map(([k, v]) => [k, v.toJson()])) as T, context));
    this.rows = 'rows' in event ? plain(event.rows) : [];
    this.oldValues = 'old_values' in event ? plain(event.old_values) : [];
  }
}
