// SPDX-License-Identifier: Apache-2.0
// One browser against keywheeld: in-namespace node suite.mjs BROWSER [STEPS]

import { Lab } from './lab.mjs';
import { calls } from './steps-calls.mjs';
import { consoleSteps } from './steps-console.mjs';
import { room } from './steps-room.mjs';
import { rotation } from './steps-rotation.mjs';
import { trouble } from './steps-trouble.mjs';
import { finish } from './tap.mjs';

const [, , name, only] = process.argv;
const lab = new Lab(name, only && new RegExp(only));
await lab.open();
for (const steps of [calls, rotation, room, trouble, consoleSteps]) await steps(lab);
await lab.end();
finish();
process.exit();
