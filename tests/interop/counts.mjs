// The answer to POST /rooms/{room}/messages: the counts by themselves, when the position beside them is one.
import assert from 'node:assert/strict';

export function countsOf({ epoch, seq, ...counts }) {
  assert.match(epoch, /^[0-9a-f]{16}$/);
  assert.ok(Number.isInteger(seq) && seq > 0, `seq ${seq}`);
  return counts;
}
