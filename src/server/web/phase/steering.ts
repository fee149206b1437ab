import { byId } from "../element.ts";
import { type Gestures, listenToPointers } from "./pointer.ts";

/** What pointers, keys and buttons do with a picture. */
export interface Steering {
  /** The picture that is seen now. */
  gestures(): Gestures;
  zoomBy(factor: number): void;
  home(): void;
  fit(): void;
  play(): void;
  set3d(is3d: boolean): void;
  /** Other axes were chosen. */
  axes(): void;
}

const STEP_PX = 40;

/** Listens to all that steers the picture in this box. */
export function listenToSteering(box: HTMLElement, steering: Steering): void {
  const { gestures } = steering;
  listenToPointers(box, {
    press: (place, event) => gestures().press(place, event),
    drag: (place, event) => gestures().drag(place, event),
    release: (place, moved) => gestures().release(place, moved),
    abandon: () => gestures().abandon(),
    pan: (dx, dy) => gestures().pan(dx, dy),
    zoom: (factor, about) => gestures().zoom(factor, about),
    hover: (place) => gestures().hover(place),
  });
  listenToKeys(box, steering);
  listenToButtons(steering);
}

/** The keys of the picture: arrows, plus and minus, 0, f and the space bar. */
function listenToKeys(box: HTMLElement, { gestures, ...steering }: Steering): void {
  const acts: Record<string, () => void> = {
    ArrowLeft: () => gestures().pan(STEP_PX, 0),
    ArrowRight: () => gestures().pan(-STEP_PX, 0),
    ArrowUp: () => gestures().pan(0, STEP_PX),
    ArrowDown: () => gestures().pan(0, -STEP_PX),
    "+": () => steering.zoomBy(1.25),
    "=": () => steering.zoomBy(1.25),
    "-": () => steering.zoomBy(0.8),
    "0": () => steering.home(),
    f: () => steering.fit(),
    " ": () => steering.play(),
  };
  box.addEventListener("keydown", (event) => {
    const act = acts[event.key];
    if (act === undefined || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  });
}

function listenToButtons(steering: Steering): void {
  const click = (id: string, act: () => void) => byId(id).addEventListener("click", act);
  click("zoom-in", () => steering.zoomBy(1.4));
  click("zoom-out", () => steering.zoomBy(1 / 1.4));
  click("fit", () => steering.fit());
  click("home", () => steering.home());
  click("to-2d", () => steering.set3d(false));
  click("to-3d", () => steering.set3d(true));
  for (const k of [0, 1, 2]) byId(`axis-${k}`).addEventListener("change", () => steering.axes());
}
