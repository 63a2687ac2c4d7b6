// Whether there is still a kernel behind the panel.
//
// A panel belongs to the kernel that made it: once that stops or starts anew, nothing brings this panel back.

const GONE = ["restarting", "autorestarting", "terminating", "dead"];
const LOOK = 2000; // ms

/** Call a function once when the kernel is gone. @returns a function that ends the watch */
export function watchKernel(model, element, gone) {
  const manager = model.widget_manager;
  const kernel = manager?.kernel;
  if (!kernel) return () => {}; // a static page never had one
  const finish = () => {
    end();
    gone();
  };
  const status = (_, now) => GONE.includes(now) && finish();
  const timer = setInterval(() => {
    const other = manager.kernel?.id !== kernel.id;
    if (other || kernel.isDisposed || element.closest(".jupyter-widgets-disconnected")) finish();
  }, LOOK);
  const end = () => {
    clearInterval(timer);
    kernel.statusChanged?.disconnect(status);
  };
  kernel.statusChanged?.connect(status);
  return end;
}
