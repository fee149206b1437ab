export const ASSETS: readonly { path: string; mediaType: string; sha256: string; text: string }[] = [];
