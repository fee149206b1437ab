/**
 * While a hand moves, all lines together are so long at most: what is drawn each time sets how many pictures there are in
 * a second, and ways that are longer mostly go round where they went before.
 */
export const DRAFT_LENGTH_PX = 200_000;

/** The same for a picture that stays: so much has gone over all of it already. */
export const STILL_LENGTH_PX = 1_000_000;
