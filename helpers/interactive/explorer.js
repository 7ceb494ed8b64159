(() => {
  const root = document.currentScript.closest(".explorer");
  const data = JSON.parse(root.querySelector("script[type='application/json']").textContent);
  const controls = [...root.querySelectorAll("input, select")], slots = [...root.querySelectorAll("[data-slot]")];
  let shown = [];
  const show = () => {
    const state = controls.reduce((sum, control, k) => sum * data.sizes[k] + Number(control.value), 0);
    const wanted = data.states[state];
    slots.forEach((slot, k) => { if (shown[k] !== wanted[k]) slot.innerHTML = data.fragments[wanted[k]]; });
    controls.forEach((control, k) => {
      if (control.type === "range") control.setAttribute("aria-valuetext", slots[k].textContent);
    });
    shown = wanted;
  };
  const pick = (event) => {
    const place = event.target.closest("[data-state]");
    if (!place) return;
    let state = Number(place.dataset.state);
    for (let k = controls.length - 1; k >= 0; k--) {
      controls[k].value = state % data.sizes[k];
      state = Math.floor(state / data.sizes[k]);
    }
    show();
  };
  root.addEventListener("input", show);
  root.addEventListener("pointerover", pick);
  root.addEventListener("pointerdown", pick);
  root.querySelector(".controls").hidden = false;
  show();
})();
