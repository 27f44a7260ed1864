// The form is posted to the address of the button that was pressed, and the answer is shown below it.

const form = document.getElementById("login");
const show = (id, text) => { document.getElementById(id).textContent = text; };

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const url = event.submitter?.dataset.url ?? form.getAttribute("action");
  const message = document.getElementById("message");
  const answer = document.getElementById("answer");

  form.setAttribute("aria-busy", "true");
  message.textContent = "";
  message.className = "";
  answer.hidden = true;
  try {
    const response = await fetch(url, { method: "POST", body: new URLSearchParams(new FormData(form)) });
    const text = await response.text();
    show("asked", `POST ${url} → ${response.status}`);
    show("body", text.trim());
    show("way", "");
    answer.hidden = false;

    const reply = JSON.parse(text);
    show("way", reply.way ?? "proxy_pass");
    const who = reply.from === "local" ? "Local login" : "Login";
    message.className = reply.ret ? "good" : "bad";
    message.textContent = `${who} ${reply.ret ? "successful" : "failed"}`;
  } catch (error) {
    message.className = "bad";
    message.textContent = `No answer to be read: ${error.message}`;
  } finally {
    form.removeAttribute("aria-busy");
  }
});
