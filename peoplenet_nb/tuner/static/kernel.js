// Whether there is still a kernel behind the panel.
//
// A panel belongs to the kernel that made it: once that stops or starts anew, nothing brings this panel back.

const GONE = ["restarting", "autorestarting", "terminating", "dead"];

/** Call a function once when the kernel is gone. @returns a function that ends the watch */
export function watchKernel(model, gone) {
  const kernel = model.widget_manager?.kernel;
  if (!kernel?.statusChanged) return () => {}; // a static page never had one
  const changed = (_, status) => GONE.includes(status) && finish();
  const finish = () => {
    end();
    gone();
  };
  const end = () => {
    kernel.statusChanged.disconnect(changed);
    kernel.disposed.disconnect(finish);
  };
  kernel.statusChanged.connect(changed);
  kernel.disposed.connect(finish);
  return end;
}
