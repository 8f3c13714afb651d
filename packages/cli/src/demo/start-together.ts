/** Several things started at once, all or none: one that is left running would keep the process. */

export interface Closable {
  close(): Promise<void>;
}

/** What has started, in order. Where one rejects the others are closed, whenever they come, and the first reason is thrown. */
export async function startTogether<const T extends readonly Promise<Closable>[]>(starts: T): Promise<{ [K in keyof T]: Awaited<T[K]> }> {
  const settled = await Promise.allSettled(starts);
  const failed = settled.find((one) => one.status === 'rejected');
  if (failed === undefined)
    return settled.map((one) => (one.status === 'fulfilled' ? one.value : undefined)) as { [K in keyof T]: Awaited<T[K]> };
  await Promise.all(settled.map(async (one) => (one.status === 'fulfilled' ? one.value.close() : undefined)));
  throw failed.reason;
}
