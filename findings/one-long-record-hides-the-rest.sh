#!/usr/bin/env bash
# One record that is too long hides every record after it
#
# One would expect skip_records_with_error to skip the record with the error, as its documentation says, and to go on with
#   the next line.
# Instead, after a record that is longer than max_record_size the parser finds no record any more: it reports one error, ends
#   without another, and gives nothing of the rest of the file. A record with an error in its quotes costs one record, as
#   expected.
# Seen with: csv-parse 7.0.3.
# Why it matters: both options are there for files that somebody else wrote. A list of passkeys with one field that is too long
#   looks like a short list with one bad line, and the users of all other lines are missing.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{ "private": true }' > package.json
npm install --silent --no-audit --no-fund --save-exact csv-parse@7.0.3 > /dev/null

cat > finding.mjs <<'JS'
import { parse } from 'csv-parse/sync';
import { readFileSync } from 'node:fs';

const version = (name) => `${name} ${JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).version}`;
let changed = false;
function tell(what, seen, stated) {
  const same = String(seen) === String(stated);
  changed ||= !same;
  console.log(`${same ? 'as stated' : 'CHANGED'} | ${what}: ${seen}${same ? '' : ` (stated: ${stated})`}`);
}

console.log(`Node.js ${process.versions.node}, ${version('csv-parse')}`);

/** The first value of each record that is found, and how many errors are reported. */
function read(record) {
  let errors = 0;
  const options = { max_record_size: 100, skip_records_with_error: true, on_skip: () => void (errors += 1) };
  const records = parse(`first,1\n${record}\nthird,3\nfourth,4\n`, options);
  return `${records.map(([name]) => name).join(' ')}, errors: ${errors}`;
}

tell('a record that is in order', read('second,2'), 'first second third fourth, errors: 0');
tell('a record with a quote in the middle', read('second,x"y"'), 'first third fourth, errors: 2');
tell('a record that is too long', read(`second,${'x'.repeat(200)}`), 'first, errors: 1');
tell('a record that is too long, in quotes', read(`second,"${'x'.repeat(200)}"`), 'first, errors: 1');

process.exitCode = changed ? 1 : 0;
JS
node --disable-warning=ExperimentalWarning finding.mjs
