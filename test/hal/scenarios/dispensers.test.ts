/** What every dispenser promises, on a line in memory; over ptys it is `npm run test:ptys`. */
import { playDispenserScenarios } from './dispenser-scenarios.ts';

playDispenserScenarios('memory');
