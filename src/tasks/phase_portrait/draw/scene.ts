/** A picture as a list of marks in pixels from the top left: what the canvas, the SVG and the PNG writers all draw. */
export interface Scene {
  readonly width: number;
  readonly height: number;
  readonly background: string;
  readonly marks: readonly Mark[];
}

/** A rectangle outside of which a mark is not seen. */
export interface Clip {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Common {
  /** 0 to 1, 1 when left out. */
  readonly opacity?: number;
  readonly clip?: Clip;
  /** What the mark is, for a reader of the SVG and for a pointer over it. */
  readonly title?: string;
}

/** A line through points x, y, x, y … */
export interface LineMark extends Common {
  readonly kind: "line";
  readonly points: Float64Array;
  readonly color: string;
  readonly width: number;
  /** Lengths of dash and gap in pixels. */
  readonly dash?: readonly [number, number];
}

/** Many short lines of one look: x1, y1, x2, y2 for each. */
export interface SegmentsMark extends Common {
  readonly kind: "segments";
  readonly points: Float64Array;
  readonly color: string;
  readonly width: number;
}

export interface PolygonMark extends Common {
  readonly kind: "polygon";
  readonly points: Float64Array;
  readonly fill: string;
}

export interface CircleMark extends Common {
  readonly kind: "circle";
  readonly x: number;
  readonly y: number;
  readonly radius: number;
  readonly fill: string;
  readonly stroke?: string;
  readonly strokeWidth?: number;
}

export interface TextMark extends Common {
  readonly kind: "text";
  readonly x: number;
  /** Of the baseline. */
  readonly y: number;
  readonly text: string;
  readonly size: number;
  readonly color: string;
  readonly anchor: "start" | "middle" | "end";
  readonly bold?: boolean;
  /** A quarter turn to the left, about (x, y). */
  readonly upright?: boolean;
}

export type Mark = LineMark | SegmentsMark | PolygonMark | CircleMark | TextMark;

/** The colours of a picture. */
export interface Theme {
  readonly background: string;
  readonly panel: string;
  readonly text: string;
  readonly muted: string;
  readonly grid: string;
  readonly frame: string;
  readonly field: string;
  readonly nullclines: readonly string[];
  readonly stable: string;
  readonly unstable: string;
  readonly cycle: string;
  readonly trajectories: readonly string[];
}

/** Okabe and Ito's colours, told apart by people of every colour vision: Color Universal Design (2008). */
export const LIGHT: Theme = {
  background: "#ffffff",
  panel: "#fcfcfb",
  text: "#1d2327",
  muted: "#5b6670",
  grid: "#e9ecee",
  frame: "#9aa4ac",
  field: "#a9b4bd",
  nullclines: ["#d55e00", "#0072b2", "#009e73"],
  stable: "#0a7f57",
  unstable: "#b3261e",
  cycle: "#8e44ad",
  trajectories: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#5b3ea8", "#444c54"],
};

export const DARK: Theme = {
  background: "#14181c",
  panel: "#181d22",
  text: "#e8edf1",
  muted: "#9fabb5",
  grid: "#262d34",
  frame: "#4a5560",
  field: "#4f5d69",
  nullclines: ["#ff8f3f", "#56b4e9", "#3fd0a0"],
  stable: "#3fd0a0",
  unstable: "#ff6b5e",
  cycle: "#c792ea",
  trajectories: ["#56b4e9", "#ff9a4d", "#3fd0a0", "#e59cc4", "#f0c94a", "#8fd0ff", "#b79cf5", "#c6d0d8"],
};
