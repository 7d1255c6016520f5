// The API key: in memory and, so that a reload finds it, in this tab's storage; in the browser's lasting storage only
// where its owner ticks the box. It leaves in a header alone.

const NAME = "literesearcher.key";
let held = read(() => window.sessionStorage) ?? read(() => window.localStorage);

// A browser may forbid storage altogether: then memory must do.
function read(storage) {
  try {
    return storage().getItem(NAME);
  } catch {
    return null;
  }
}

function write(storage, value) {
  try {
    if (value === null) storage().removeItem(NAME);
    else storage().setItem(NAME, value);
  } catch {
    // See above.
  }
}

export function currentKey() {
  return held;
}

export function isKept() {
  return read(() => window.localStorage) !== null;
}

export function useKey(key, { keep }) {
  held = key;
  write(() => window.sessionStorage, key);
  write(() => window.localStorage, keep ? key : null);
}

export function forgetKey() {
  held = null;
  write(() => window.sessionStorage, null);
  write(() => window.localStorage, null);
}
