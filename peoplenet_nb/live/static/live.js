// What anywidget asks for: the view of a camera or of a stream.

import { CameraView } from "./camera.js";
import { StreamView } from "./stream.js";

function render({ model, el }) {
  const Kind = model.get("mode") === "camera" ? CameraView : StreamView;
  const view = new Kind(model, el);
  return () => view.dispose();
}

export default { render };
