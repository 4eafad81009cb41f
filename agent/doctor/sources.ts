/** What an examination of the running agent works with. */

import type { DeviceIdentity } from '#hal/cash-acceptor.ts';
import type { CashDispenserStatus } from '#hal/cash-dispenser.ts';
import type { ClockVerdict } from '#protocol/corrected-clock.ts';
import type { RoundTrip } from '#protocol/relay/round-trip.ts';
import type { Parts } from '../parts.ts';
import type { SealingKey } from '../upkeep/sealing-key.ts';

/** Round trips to the relays, by what they are there for. */
export interface RoundTrips {
  readonly bunker: readonly RoundTrip[];
  readonly others: readonly RoundTrip[];
}

/** See the head of the file. */
export interface DoctorSources {
  readonly parts: Parts;
  readonly operatorPubkey: () => string;
  /** Where the key comes from that seals what is at rest. */
  readonly sealedBy: SealingKey['origin'];
  readonly nostr: {
    roundTrips(limitMs: number): Promise<RoundTrips>;
    clockVerdict(): ClockVerdict;
  };
  readonly devices: {
    identity(device: 'acceptor' | 'dispenser'): DeviceIdentity | undefined;
    askDispenser(): Promise<CashDispenserStatus | undefined>;
  };
  /** True while no customer is served. */
  isIdle(): boolean;
}
