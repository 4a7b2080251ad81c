export const PASSWORD: string;
export function start(port: number): Promise<{ url: string; stop(): Promise<void> }>;
