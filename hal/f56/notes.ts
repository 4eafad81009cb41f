/**
 * What notes measure, for the unit to tell them by: the longest and the shortest length that it is
 * to take, in mm, and the thickness in hundredths of a mm. The lengths are the nominal ones and
 * 10 mm either way, for some 5 mm.
 * Source: lamassu-machine 8.6 `lib/f56/bills.js`; cash-hardware.md A.1.
 */
import { denominationOfMinor } from '#protocol/base/money.ts';
import type { UnitNotes } from '../cash-dispenser.ts';
import type { NoteSize } from './commands.ts';

/** Currency, material, thickness; then denominations with their longest and shortest length. */
const TABLE = `
AED paper 12 5=153/133 10=157/137 20=159/139 50=161/141 100=165/145 200=167/147 500=169/149
AED paper 12 1000=173/153
ANG paper 12 10,25,50,100=152/142
AUD polymer 13 5=140/120 10=147/127 20=154/134 50=161/141 100=168/148
BGN paper 13 1=117/107 2=121/111 5=126/116 10=131/121 20=136/126 50=141/131 100=146/136
CAD polymer 13 5,10,20,50,100=162/142
CHF paper 13 10=133/113 20=140/120 50=147/127 100=154/134 200=161/141 1000=168/148
CNY paper 13 1=140/120 5=145/125 10=150/130 20=155/135 50=160/140 100=165/145
COP paper 13 2000=138/118 5000=143/123 10000=148/128 20000=153/133 50000=158/138 100000=163/143
CRC polymer 13 1000=130/120 2000=137/127 5000=144/134 10000=151/141 20000=158/148 50000=170/150
CZK paper 12 100=150/130 200=156/136 500=162/142 1000=168/148 2000=174/154 5000=180/160
EUR paper 12 5=130/110 10=137/117 20=143/123 50=150/130 100=157/137 200=163/143 500=170/150
GBP polymer 13 5=145/125 10=152/132 20=149/129 50=166/146
GHS paper 12 1=147/127 2=150/130 5=151/131 10=155/135 20=159/139 50=163/143
GIP paper 12 5=138/128 10=146/136 20=155/145 50=162/152 100=169/159
GTQ paper 12 5,20=163/153 10,50,100,200=161/151
HKD paper 13 10=144/124 20=153/133 50=158/138 100=163/143 500=168/148 1000=174/154
HNL paper 12 1,2,5,10,20,50,100,200,500=166/146
HRK paper 12 5=127/117 10=131/121 20=135/125 50=139/129 100=143/133 200=147/137 500=151/141
HRK paper 12 1000=155/145
ILS paper 13 20=139/119 50=146/126 100=153/133 200=160/140
JPY paper 13 1000=153/147 2000=156/152 5000=157/154 10000=163/158
KRW paper 13 1000=146/126 2000=150/130 5000=152/132 10000=158/138 50000=164/144
MDL paper 12 1,5=124/110 10,20,50,100=131/111 200,500,1000=143/123
MKD polymer 12 10=145/135 50=148/138 100=151/141 200=149/139 500=154/144 1000,2000=157/147
MKD polymer 12 5000=160/150
MXN polymer 12 20=125/115 50=130/120 100=137/127 200=144/134 500=151/141 1000=158/148
MYR paper 12 1=130/110 5=145/125 10=150/130 20,50=155/135 100=160/140
NAD paper 12 10=134/124 20=139/129 50=145/135 100=151/141 200=157/147
NZD polymer 12 5=140/130 10=145/135 20=150/140 50=155/145 100=160/150
PHP paper 12 20,100,200,500,1000=170/150
PLN paper 12 10=125/115 20=131/121 50=137/127 100=143/133 200=149/139 500=155/145
RON polymer 12 1=130/110 5=137/117 10=143/123 50=150/130 100=157/137 200=160/140 500=163/143
SGD paper 12 2=136/116 5=143/123 10=151/131 50=166/146 100=172/152 1000=180/160
TRY paper 13 5=135/125 10=141/131 20=147/137 50=153/143 100=159/149 200=165/155
TWD paper 13 100=155/135 200=160/140 500=165/145 1000=170/150 2000=175/155
USD paper 13 1,2,5,10,20,50,100=166/146
UYU paper 13 20,100,200,500,1000,2000=164/154 50=150/140
ZAR paper 12 10=138/118 20=144/124 50=150/130 100=156/136 200=162/142
`;

const sizes = new Map<string, NoteSize>();
for (const row of TABLE.trim().split('\n')) {
  const [currency = '', material, thickness, ...cells] = row.split(' ');
  for (const cell of cells) {
    const [denominations = '', max, min] = cell.split(/[=/]/);
    const size = {
      lengthMaxMm: Number(max),
      lengthMinMm: Number(min),
      thickness: Number(thickness),
      isPolymer: material === 'polymer',
    };
    for (const denomination of denominations.split(',')) {
      sizes.set(`${currency} ${denomination}`, size);
    }
  }
}

/** Every note that is known, as `USD 20`. */
export const knownNotes: readonly string[] = [...sizes.keys()];

/** What the notes of a bay measure; undefined for notes that are not in the table. */
export function sizeOfNotes({ currency, value }: UnitNotes): NoteSize | undefined {
  return sizes.get(`${currency} ${denominationOfMinor(value, currency)}`);
}
