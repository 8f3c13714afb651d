/** For editors and readers: the JSON Schema of policy documents and their reference page. No call passes by here. */

export { policySchema } from './json-schema.ts';
export { policyReference } from './reference.ts';
