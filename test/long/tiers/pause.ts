export function pause(forMs: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, forMs))
}
