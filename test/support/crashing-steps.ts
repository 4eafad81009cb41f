import * as fs from 'node:fs';
import type { FileSteps } from '#protocol/pairing/pairing-file.ts';

/** The disk, cut off after so many steps that change it; the cut write leaves half of its bytes. */
export function crashingSteps(stepsBeforeCut: number): {
  readonly steps: FileSteps;
  wasCut(): boolean;
} {
  let left = stepsBeforeCut;
  let isCut = false;
  /** True when this step is the one that is cut; later ones do not happen either. */
  const cuts = () => {
    left -= 1;
    if (left >= 0) return;
    isCut = true;
    throw new Error('power cut');
  };
  const steps: FileSteps = {
    ...fs,
    openSync: (...args) => {
      cuts();
      return fs.openSync(...args);
    },
    writeFileSync: (file, data, options) => {
      if (left === 0 && typeof data === 'string') {
        fs.writeFileSync(file, data.slice(0, data.length / 2), options);
      }
      cuts();
      fs.writeFileSync(file, data, options);
    },
    fsyncSync: (file) => {
      cuts();
      fs.fsyncSync(file);
    },
    closeSync: (file) => {
      fs.closeSync(file);
      cuts();
    },
    renameSync: (...args) => {
      cuts();
      fs.renameSync(...args);
    },
    rmSync: (...args) => {
      cuts();
      fs.rmSync(...args);
    },
  };
  return { steps, wasCut: () => isCut };
}
