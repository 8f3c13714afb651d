import type { BuiltParts } from '@sallyport/policy';
import { describe, expect, it } from 'vitest';
import { shellText, variablesOf, waysIn, waysInText } from './ways-in.ts';

const URLS = { url: 'http://127.0.0.1:1/s/K', sidecarUrl: 'http://127.0.0.1:2' };
const built = {
  policy: {
    parts: {
      servers: [
        { name: 'order-desk', kind: 'http' },
        { name: 'files', kind: 'mcp' },
      ],
    },
  },
} as unknown as BuiltParts;

describe('the ways in', () => {
  const ways = waysIn(built, URLS);

  it('are a variable for each server, by what it speaks, and the sidecar itself with its header', () => {
    expect(variablesOf(ways, 'T')).toEqual({
      SALLYPORT_URL: 'http://127.0.0.1:1/s/K',
      SALLYPORT_HTTP_ORDER_DESK_URL: 'http://127.0.0.1:1/s/K/http/order-desk',
      SALLYPORT_MCP_FILES_URL: 'http://127.0.0.1:1/s/K/mcp/files',
      SALLYPORT_SIDECAR_URL: 'http://127.0.0.1:2',
      SALLYPORT_SESSION: 'T',
    });
  });

  it('are text that a shell reads back', () => {
    expect(shellText({ A: 'x', B: 'y' })).toBe("export A='x'\nexport B='y'\n");
  });

  it('are told to a person without the token of the session', () => {
    const text = waysInText(ways, '.sallyport/dev/env').join('\n');
    expect(text).toContain('  files       MCP   http://127.0.0.1:1/s/K/mcp/files');
    expect(text).toContain('. .sallyport/dev/env');
    expect(text).not.toContain('SALLYPORT_SESSION');
  });
});
