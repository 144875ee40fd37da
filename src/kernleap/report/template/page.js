(() => {
  const items = [...document.querySelectorAll("#metrics details.m")];
  const tools = document.querySelector(".tools");
  if (!tools || !items.length) return;
  const query = tools.querySelector("#q");
  const boxes = [...tools.querySelectorAll("input[type=checkbox]")];
  const button = tools.querySelector("#all");
  const shown = tools.querySelector("#shown");
  const apply = () => {
    const words = query.value.toLowerCase().trim();
    const wanted = new Set(boxes.filter((b) => b.checked).map((b) => b.value));
    let count = 0;
    for (const item of items) {
      const decided = item.dataset.d.trim().split(" ").some((d) => wanted.has(d));
      const named = item.querySelector("summary code").textContent.toLowerCase().includes(words);
      item.hidden = !(decided && named);
      count += item.hidden ? 0 : 1;
    }
    for (const family of document.querySelectorAll("#metrics .family")) {
      family.hidden = !family.querySelector("details.m:not([hidden])");
    }
    shown.textContent = count + " of " + items.length + " shown";
  };
  query.addEventListener("input", apply);
  boxes.forEach((b) => b.addEventListener("change", apply));
  button.addEventListener("click", () => {
    const open = button.textContent === "Open all";
    items.forEach((item) => { if (!item.hidden) item.open = open; });
    button.textContent = open ? "Close all" : "Open all";
  });
  tools.hidden = false;
  apply();
})();
