// The frames that the browser holds: pictures and complete grids, fetched when needed, a few ahead.
//
// Boxes never wait for the kernel. The cells of the whole clip came with the widget; only
// a picture and the cells below the clip's floor are asked for, and the last of them are kept.

import { ClipData, frameOf } from "./clip.js";

const KEEP = 48; // frames: about 8 MB of PeopleNet's grids and their pictures
const AHEAD = 4;

export class FrameStore {
  constructor(model) {
    this.model = model;
    this.shape = model.get("shape");
    const clip = model.get("clip");
    this.clip = clip && clip.byteLength ? new ClipData(this.shape, clip, model.get("between")) : null;
    this.length = this.clip ? this.clip.length : 1;
    this.held = new Map();
    this.asked = new Set();
    this.closed = false;
    this.listeners = new Set();
    this.#take(model.get("first_frame"), model.get("jpeg"), model.get("grids"));
    model.on("msg:custom", (content, buffers) => {
      if (content.type === "frame") this.#take(content.index, buffers[0], buffers[1]);
    });
  }

  /** `{frame, picture, complete}`: complete grids where they are held, else the clip's cells. */
  get(index) {
    const held = this.held.get(index);
    if (held) {
      this.held.delete(index); // the order of a Map tells which was used last
      this.held.set(index, held);
      return held;
    }
    const frame = this.clip ? this.clip.frame(index) : this.held.values().next().value.frame;
    return { frame, picture: null, complete: false };
  }

  has(index) {
    return this.held.has(index);
  }

  /** Ask the kernel for a frame and for those that come after it in a direction. */
  want(index, direction = 1) {
    if (this.closed) return; // the kernel is gone
    for (let i = 0; i <= AHEAD; i++) {
      const wanted = index + i * direction;
      if (wanted < 0 || wanted >= this.length || this.held.has(wanted) || this.asked.has(wanted)) continue;
      this.asked.add(wanted);
      this.model.send({ type: "frame", index: wanted });
    }
  }

  async #take(index, jpeg, grids) {
    this.asked.delete(index);
    const unseen = this.clip?.between?.has(index);
    const frame = unseen ? this.clip.frame(index) : frameOf(this.shape, grids);
    const entry = { frame, picture: null, complete: true };
    this.held.set(index, entry);
    if (jpeg && jpeg.byteLength) {
      entry.picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
    }
    while (this.held.size > KEEP) {
      const [oldest, { picture }] = this.held.entries().next().value;
      this.held.delete(oldest);
      picture?.close();
    }
    for (const listener of this.listeners) listener(index);
  }
}
