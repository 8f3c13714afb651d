/**
 * Stands in for `@grpc/proto-loader`, and with it for protobufjs, which makes code from strings. grpc-js asks for it only to
 * serve channelz and to read load reports (ORCA); neither is switched on here, and messages come from `contract`.
 */

export function loadSync() {
  throw new Error('no .proto file is read at run time: channelz and load reports are not part of this build');
}
