// SPDX-FileCopyrightText: Photocast contributors
// SPDX-License-Identifier: Apache-2.0
// Print what the Khronos validator says about each file, as one JSON array.
// Usage: node validate.js FILE...
"use strict";
const fs = require("fs");
const path = require("path");
const validator = require("gltf-validator");

async function report(file) {
  const folder = path.dirname(file);
  return validator.validateBytes(new Uint8Array(fs.readFileSync(file)), {
    uri: path.basename(file),
    maxIssues: 100,
    externalResourceFunction: async (uri) =>
      new Uint8Array(fs.readFileSync(path.join(folder, decodeURIComponent(uri)))),
  });
}

Promise.all(process.argv.slice(2).map(report)).then(
  (reports) => console.log(JSON.stringify(reports)),
  (error) => {
    console.error(String(error));
    process.exit(1);
  },
);
