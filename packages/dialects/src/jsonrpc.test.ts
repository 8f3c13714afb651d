import { judge } from '@sallyport/strict';
import { describe, expect, it } from 'vitest';
import { peekId, readRpc, rpcError, rpcNotification, rpcRequest, rpcResult } from './jsonrpc.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

function judged(source: string): Parameters<typeof readRpc>[0] {
  const result = judge(bytes(source));
  if (!result.ok) throw new Error(`not JSON: ${source}`);
  return result.value;
}

describe('reading a JSON-RPC message', () => {
  it.each([
    ['{"jsonrpc":"2.0","id":1,"method":"ping"}', { kind: 'request', id: 1, method: 'ping', params: undefined }],
    ['{"jsonrpc":"2.0","id":"a","method":"a/b","params":{}}', { kind: 'request', id: 'a', method: 'a/b' }],
    ['{"jsonrpc":"2.0","id":"","method":"ping"}', { kind: 'request', id: '' }],
    ['{"jsonrpc":"2.0","method":"n"}', { kind: 'notification', method: 'n' }],
    ['{"jsonrpc":"2.0","id":1,"result":{}}', { kind: 'result', id: 1 }],
    ['{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":"m"}}', { kind: 'error', id: 1, code: -1, message: 'm' }],
    ['{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"m","data":[]}}', { kind: 'error', id: null }],
  ])('%s', (source, message) => {
    expect(readRpc(judged(source))).toMatchObject({ ok: true, value: message });
  });

  it.each([
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]'],
    ['an empty batch', '[]'],
    ['a text', '"ping"'],
    ['null', 'null'],
    ['no version', '{"id":1,"method":"ping"}'],
    ['another version', '{"jsonrpc":"1.0","id":1,"method":"ping"}'],
    ['a version that is a number', '{"jsonrpc":2.0,"id":1,"method":"ping"}'],
    ['a null id', '{"jsonrpc":"2.0","id":null,"method":"ping"}'],
    ['an id that is an object', '{"jsonrpc":"2.0","id":{},"method":"ping"}'],
    ['an id with a fraction', '{"jsonrpc":"2.0","id":1.5,"method":"ping"}'],
    ['an id that no double holds', '{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}'],
    ['an id above the safe integers', '{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}'],
    ['an id with an exponent', '{"jsonrpc":"2.0","id":1e2,"method":"ping"}'],
    ['an id of negative zero', '{"jsonrpc":"2.0","id":-0,"method":"ping"}'],
    ['an id of 257 characters', `{"jsonrpc":"2.0","id":"${'x'.repeat(257)}","method":"ping"}`],
    ['a member more', '{"jsonrpc":"2.0","id":1,"method":"ping","auth":"x"}'],
    ['a member in another case', '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}'],
    ['a method that is a list', '{"jsonrpc":"2.0","id":1,"method":["ping"]}'],
    ['a method with a line feed', '{"jsonrpc":"2.0","id":1,"method":"ping\\n"}'],
    ['an empty method', '{"jsonrpc":"2.0","id":1,"method":""}'],
    ['params that are a list', '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}'],
    ['params that are null', '{"jsonrpc":"2.0","id":1,"method":"ping","params":null}'],
    ['a request that is a response too', '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}'],
    ['a result that is an error too', '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}'],
    ['a result that is no object', '{"jsonrpc":"2.0","id":1,"result":"x"}'],
    ['a result without an id', '{"jsonrpc":"2.0","result":{}}'],
    ['an error without a code', '{"jsonrpc":"2.0","id":1,"error":{"message":"m"}}'],
    ['neither', '{"jsonrpc":"2.0","id":1}'],
    ['members of the prototype alone', '{"jsonrpc":"2.0","id":1,"__proto__":{"method":"ping"}}'],
  ])('refuses %s', (_, source) => {
    expect(readRpc(judged(source))).toMatchObject({ ok: false, error: { code: 'malformed_request' } });
  });
});

describe('the id of what could not be read', () => {
  it.each([
    ['{"jsonrpc":"1.0","id":7,"nonsense":true}', 7],
    ['{"id":"a"}', 'a'],
    ['{"id":null}', undefined],
    ['{"id":1e1}', undefined],
    ['[{"id":1}]', undefined],
    ['{}', undefined],
  ])('%s', (source, id) => {
    expect(peekId(judged(source))).toBe(id);
  });
});

describe('writing a JSON-RPC message', () => {
  it('keeps the bytes of what it wraps', () => {
    expect(text(rpcResult('a"b', bytes('{"n":1.0e+2,"big":9007199254740993}')))).toBe(
      '{"jsonrpc":"2.0","id":"a\\"b","result":{"n":1.0e+2,"big":9007199254740993}}',
    );
    expect(text(rpcRequest(7, 'tools/call', bytes('{}')))).toBe('{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{}}');
    expect(text(rpcNotification('n'))).toBe('{"jsonrpc":"2.0","method":"n"}');
    expect(text(rpcNotification('n', bytes('{"a":1}')))).toBe('{"jsonrpc":"2.0","method":"n","params":{"a":1}}');
    expect(text(rpcError(null, { code: 1, message: 'm' }))).toBe('{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}');
  });

  it('is read back as it was written', () => {
    for (const message of [
      rpcResult(1, bytes('{}')),
      rpcRequest('x', 'm', bytes('{}')),
      rpcNotification('m'),
      rpcError(2, { code: 3, message: '' }),
    ])
      expect(readRpc(judged(text(message))).ok).toBe(true);
  });
});
