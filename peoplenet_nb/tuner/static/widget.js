// What anywidget calls: one store of frames per model, one view per place it is shown in.

import { LabelView } from "./labelview.js";
import { FrameStore } from "./store.js";
import { TunerView } from "./view.js";

const stores = new WeakMap();

function initialize({ model }) {
  stores.set(model, new FrameStore(model));
}

function render({ model, el }) {
  // Older front ends hand render another model object than initialize.
  if (!stores.has(model)) stores.set(model, new FrameStore(model));
  const View = model.get("records") ? LabelView : TunerView;
  const view = new View(model, el, stores.get(model));
  return () => view.dispose();
}

export default { initialize, render };
