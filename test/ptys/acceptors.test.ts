/** What every validator promises, over a real pty and the port that the machine uses. */
import { playAcceptorScenarios } from '#test/hal/scenarios/acceptor-scenarios.ts';

playAcceptorScenarios('pty');
