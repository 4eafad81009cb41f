/** The paths of the field visit; service scope. Part of the table in `routes.ts`. */
import { z } from 'zod';
import { checked } from './errors.ts';
import type { AnsweringRoute } from './routes.ts';
import {
  abandonRequest,
  answerRequest,
  bagCountRequest,
  bagCountResult,
  bagView,
  endTechnicianRequest,
  endTechnicianResult,
  exchangeEndResult,
  exchangeState,
  exchangeStepRequest,
  exchangeView,
  inviteRequest,
  inviteResult,
  recordsQuery,
  recordView,
  redeemRequest,
  signInRequest,
  signInResult,
  signOutResult,
  techniciansView,
  totalsView,
} from './visit-schemas.ts';

/** Schemas that the documentation names. */
export const visitSchemas = {
  InviteRequest: inviteRequest,
  InviteResult: inviteResult,
  Technicians: techniciansView,
  RedeemRequest: redeemRequest,
  SignInRequest: signInRequest,
  SignInResult: signInResult,
  SignOutRequest: z.strictObject({}),
  SignOutResult: signOutResult,
  EndTechnicianRequest: endTechnicianRequest,
  EndTechnicianResult: endTechnicianResult,
  ExchangeState: exchangeState,
  ExchangeView: exchangeView,
  BeginRequest: z.strictObject({}),
  AnswerRequest: answerRequest,
  ExchangeStepRequest: exchangeStepRequest,
  AbandonRequest: abandonRequest,
  ExchangeEndResult: exchangeEndResult,
  RecordView: recordView,
  Records: z.array(recordView),
  TotalsView: totalsView,
  BagView: bagView,
  Bags: z.array(bagView),
  BagCountRequest: bagCountRequest,
  BagCountResult: bagCountResult,
} as const;

const noQuery = z.strictObject({});
const scopes = ['service'] as const;
const get = { method: 'GET', scopes, query: noQuery } as const;
const post = { method: 'POST', scopes, query: noQuery } as const;
const json = (schema: keyof typeof visitSchemas) => ({ contentType: 'application/json', schema });

const technicianRoutes: readonly AnsweringRoute[] = [
  {
    ...post,
    path: '/v1/service/invites',
    summary: 'Owner: makes an invite for a technician. It is told once.',
    body: 'InviteRequest',
    answer: json('InviteResult'),
    run: ({ visit }, { who, body }) => visit.invite(who, checked(inviteRequest, body)),
  },
  {
    ...get,
    path: '/v1/service/technicians',
    summary: 'All technicians and invites that ever were. For whoever is signed in.',
    answer: json('Technicians'),
    run: ({ visit }, { who }) => visit.technicians(who),
  },
  {
    ...post,
    path: '/v1/service/technicians',
    summary: 'Uses an invite up with a PIN of one’s own, and signs in.',
    body: 'RedeemRequest',
    answer: json('SignInResult'),
    run: ({ visit }, { body }) => {
      const { invite, pin } = checked(redeemRequest, body);
      return visit.redeem(invite, pin);
    },
  },
  ...(['revoked', 'deleted'] as const).map((state): AnsweringRoute => {
    const words = { revoked: 'stays by name', deleted: 'gives the name free' }[state];
    return {
      ...post,
      path: `/v1/service/technicians/${state === 'revoked' ? 'revocations' : 'deletions'}`,
      summary: `Owner: shuts a technician out, who ${words}; or ends an invite that is open.`,
      body: 'EndTechnicianRequest',
      answer: json('EndTechnicianResult'),
      run: ({ visit }, { who, body }) => {
        return visit.end(who, state, checked(endTechnicianRequest, body));
      },
    };
  }),
  {
    ...post,
    path: '/v1/service/technicians/confirmations',
    summary: 'Owner: lets one in again whom a restore suspended.',
    body: 'EndTechnicianRequest',
    answer: json('EndTechnicianResult'),
    run: ({ visit }, { who, body }) => visit.confirm(who, checked(endTechnicianRequest, body)),
  },
  {
    ...post,
    path: '/v1/service/sign-ins',
    summary: 'Signs in with name and PIN. Five wrong ones lock the name for ten minutes.',
    body: 'SignInRequest',
    answer: json('SignInResult'),
    run: ({ visit }, { body }) => {
      const { name, pin } = checked(signInRequest, body);
      return visit.signIn(name, pin);
    },
  },
  {
    ...post,
    path: '/v1/service/sign-outs',
    summary: 'Ends the sign-in of the token that it is asked with.',
    body: 'SignOutRequest',
    answer: json('SignOutResult'),
    run: ({ visit }, { who }) => {
      visit.anyone(who);
      visit.signOut(who);
      return { outcome: 'signedOut' };
    },
  },
];

const exchangeRoutes: readonly AnsweringRoute[] = [
  {
    ...get,
    path: '/v1/service/exchange',
    summary: 'The exchange that is open, or null.',
    answer: json('ExchangeState'),
    run: ({ visit }, { who }) => visit.exchange(who),
  },
  {
    ...post,
    path: '/v1/service/exchange',
    summary: 'Begins an exchange, or gives the open one: customers who are there finish first.',
    body: 'BeginRequest',
    answer: json('ExchangeView'),
    run: ({ visit }, { who }) => visit.begin(who),
  },
  {
    ...post,
    path: '/v1/service/exchange/answers',
    summary: 'Answers the question that is asked. The same once more gives the view.',
    body: 'AnswerRequest',
    answer: json('ExchangeView'),
    run: ({ visit }, { who, body }) => visit.answer(who, checked(answerRequest, body)),
  },
  {
    ...post,
    path: '/v1/service/exchange/undo',
    summary: 'Takes the last answer back. Test dispenses that ran stay booked.',
    body: 'ExchangeStepRequest',
    answer: json('ExchangeView'),
    run: ({ visit }, { who, body }) => visit.undo(who, checked(exchangeStepRequest, body)),
  },
  {
    ...post,
    path: '/v1/service/exchange/close',
    summary: 'Closes the exchange once all is answered, with a record of it.',
    body: 'ExchangeStepRequest',
    answer: json('ExchangeEndResult'),
    run: ({ visit }, { who, body }) => visit.close(who, checked(exchangeStepRequest, body)),
  },
  {
    ...post,
    path: '/v1/service/exchange/abandon',
    summary: 'Gives the exchange up. Bays that were touched are unknown from then on.',
    body: 'AbandonRequest',
    answer: json('ExchangeEndResult'),
    run: ({ visit }, { who, body }) => {
      const { reason, ...at } = checked(abandonRequest, body);
      return visit.abandon(who, at, reason);
    },
  },
];

/** See the head of the file. */
export const visitRoutes: readonly AnsweringRoute[] = [
  ...technicianRoutes,
  ...exchangeRoutes,
  {
    ...get,
    path: '/v1/service/totals',
    summary: 'What the books say is where, without closing anything. Not during an exchange.',
    answer: json('TotalsView'),
    run: ({ visit }, { who }) => visit.totals(who),
  },
  {
    ...get,
    path: '/v1/service/records',
    summary: 'The records of visits after a number, or the last ones, oldest first.',
    query: recordsQuery,
    answer: json('Records'),
    run: ({ visit }, { who, query }) => visit.records(who, checked(recordsQuery, query)),
  },
  {
    ...get,
    path: '/v1/service/bags',
    summary: 'Sealed bags that wait to be counted, without what they should hold.',
    answer: json('Bags'),
    run: ({ visit }, { who }) => visit.bags(who),
  },
  {
    ...post,
    path: '/v1/service/bags',
    summary: 'Says what was found in a sealed bag; over or short is the bag’s own.',
    body: 'BagCountRequest',
    answer: json('BagCountResult'),
    run: ({ visit }, { who, body }) => visit.countBag(who, checked(bagCountRequest, body)),
  },
];
