/** What every dispenser promises, over a real pty and the port that the machine uses. */
import { playDispenserScenarios } from '#test/hal/scenarios/dispenser-scenarios.ts';

playDispenserScenarios('pty');
