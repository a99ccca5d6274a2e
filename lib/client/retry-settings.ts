import { duration, integer, rule, refuse, type OptionRules, type OptionsOf } from '../common/options.js';

export interface RetrySettings {
  /** How often an idempotent request that was sent is sent again. Default 2. */
  attempts: number;
  /** Retries for each request, as a part of 1. Default 0.2. */
  budgetRatio: number;
  /** Retries a second that are allowed beside that. Default 10. */
  budgetMinPerSecond: number;
}

export type RetryOptions = OptionsOf<RetrySettings>;

export const retryRules: OptionRules<RetrySettings> = {
  attempts: integer({
    default: 2,
    max: 10,
    text: 'How often a request that is marked `idempotent`, and was lost after it was sent, is sent again. What never left is repeated without being marked, and free of charge.',
  }),
  budgetRatio: rule<number>(
    {
      default: 0.2,
      allowed: 'a number from 0 to 10',
      text: 'Retries and hedged requests for each request, over the last ten seconds: 0.2 allows one for five, so that an outage is not multiplied by retries.',
    },
    (value, path) =>
      typeof value === 'number' && value >= 0 && value <= 10 ? value : refuse(path, value, 'a number from 0 to 10'),
  ),
  budgetMinPerSecond: integer({
    default: 10,
    max: 1_000_000,
    text: 'Retries a second that are allowed beside that, for clients with few requests.',
  }),
};

export interface HedgeSettings {
  /** Time without a reply after which the request is made a second time. */
  delayMs: number;
}

export type HedgeOptions = OptionsOf<HedgeSettings>;

export const hedgeRules: OptionRules<HedgeSettings> = {
  delayMs: duration({
    default: 100,
    min: 1,
    text: 'Time without a reply after which an idempotent request is made a second time, at another endpoint where there is one; whichever answers first counts. About the 95th percentile of the usual time is a good value.',
  }),
};
