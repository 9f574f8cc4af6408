import { useState } from "preact/hooks";
import { post } from "./data.ts";

export function LoginPage({ asksFor, done }: { readonly asksFor: string; readonly done: () => void }) {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const fields = new FormData(event.currentTarget as HTMLFormElement);
    setBusy(true);
    setError("");
    try {
      await post("login", { user: fields.get("user") ?? "", password: fields.get("password") ?? "" });
      done();
    } catch (failure) {
      const { message } = failure as Error;
      setError(`${message.charAt(0).toUpperCase()}${message.slice(1)}.`);
    }
    setBusy(false);
  };
  return (
    <main class="login">
      <form class="card" onSubmit={submit}>
        <h1>Waybill</h1>
        {asksFor === "password" && (
          <label>
            User
            <input name="user" autocomplete="username" required />
          </label>
        )}
        <label>
          {asksFor === "password" ? "Password" : "Token"}
          <input name="password" type="password" autocomplete="current-password" required />
        </label>
        {error && (
          <p class="form-error" role="alert">
            {error}
          </p>
        )}
        <button type="submit" class="main-button" disabled={isBusy}>
          Log in
        </button>
      </form>
    </main>
  );
}
