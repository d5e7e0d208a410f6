/** All that is known of the space that is shown. */

import type { Client, Forecast, Policy, Space, State, Stats } from "../api.ts";
import { type Standing, standings } from "../model.ts";

export interface Picture {
  name: string;
  space: Space;
  stats?: Stats;
  state?: State;
  policy?: Policy;
  plan?: Forecast[];
  clients?: { list: Client[]; more: boolean };
  /** The window that the slider is at. */
  chosen: string;
}

/** The forecast of the chosen window, if it was made. */
export const forecast = ({ plan, chosen }: Picture): Forecast | undefined => plan?.find(({ window }) => window === chosen);

/** How each client stands at the chosen window. */
export const standing = (picture: Picture): Map<string, Standing> =>
  standings(picture.clients?.list ?? [], picture.stats ?? picture.space, forecast(picture));
