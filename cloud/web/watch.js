// What does not move any more must not look alive: when the service's clock stands still for ten seconds, or
// the connection is lost, the whole page is marked, whatever was the cause.
(() => {
  let clock = "", moved = Date.now();
  setInterval(() => {
    const found = document.querySelector(".clock");
    const text = found ? found.textContent : "";
    if (text !== clock) { clock = text; moved = Date.now(); }
    const lost = window.socket && !window.socket.connected;
    document.body.classList.toggle("cut", lost || Date.now() - moved > 10000);
  }, 500);
})();
