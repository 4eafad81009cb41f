/** What every validator promises, on a line in memory; over ptys it is `npm run test:ptys`. */
import { playAcceptorScenarios } from './acceptor-scenarios.ts';

playAcceptorScenarios('memory');
