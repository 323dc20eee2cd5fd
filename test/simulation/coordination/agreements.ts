/** What a request and its record may take besides the time that they are meant to take. */
export const SLACK_MS = 600

/** A client's work ends: the run is over. */
export class Over extends Error {}

/** Nobody answers any more: the broker died, or the connection ended. */
export class Gone extends Error {}
