/** Oldest Node that runs the sources without a build step and that the native packages ship for. */
const NODE_MIN = [22, 18] as const;

/**
 * Ends the process with exit code 78 and words that help, when this Node is too old. Entry points
 * call it before they load anything native, which would fail with words that do not.
 */
export function requireNode(version: string = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1])) return;
  process.stderr.write(
    `This needs Node ${NODE_MIN.join('.')} or newer; this is Node ${version}.\n` +
      'Run it through npm (`npm ci`, then `npm start`), which brings a fitting Node ' +
      'on Linux x86-64, or install Node 24 LTS.\n',
  );
  process.exit(78);
}
