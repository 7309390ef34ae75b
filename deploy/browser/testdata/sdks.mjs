// Calls the edge by the vendors' own packages, with nothing changed but the server's address.
// EDGE is that address, SECRET a secret key, PACKAGES the folder in which the packages are.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(process.env.PACKAGES + "/");
const { EDGE, SECRET } = process.env;

// As the vendors' scripts do it in the browser.
const click = async (domain, key) => {
  const response = await fetch(EDGE + "/track/click", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ domain, key, url: "https://sdk.example/?via=" + key, referrer: "" }),
  });
  assert.equal(response.status, 200);
  const { clickId, partner, discount } = await response.json();
  assert.match(clickId, /^[0-9a-f-]{36}$/);
  assert.deepEqual([partner, discount], [null, null]);
  return clickId;
};

// Dub
{
  const { Dub } = require("dub");
  const errors = require("dub/models/errors");
  const dub = new Dub({ token: SECRET, serverURL: EDGE });
  const clickId = await click("go.dub.example", "ann");

  const lead = await dub.track.lead({
    clickId, eventName: "Sign up", customerExternalId: "dub_1", customerName: "Ann", customerEmail: "ann@sdk.example",
    mode: "wait", eventQuantity: 2, metadata: { plan: "pro", seats: 3 },
  });
  assert.deepEqual(lead, {
    click: { id: clickId }, link: null,
    customer: { name: "Ann", email: "ann@sdk.example", avatar: null, externalId: "dub_1" },
  });
  const deferred = await dub.track.lead({ clickId: "", eventName: "Sign up", customerExternalId: "dub_2", mode: "deferred" });
  assert.equal(deferred.customer.externalId, "dub_2");

  const order = { customerExternalId: "dub_1", amount: 4900, currency: "eur", eventName: "Subscription", metadata: { a: 1 } };
  const paid = await dub.track.sale({ ...order, paymentProcessor: "paddle", invoiceId: "dub_order_1" });
  assert.deepEqual(paid, {
    eventName: "Subscription",
    customer: { id: "dub_1", name: null, email: null, avatar: null, externalId: "dub_1" },
    sale: { amount: 4900, currency: "eur", paymentProcessor: "paddle", invoiceId: "dub_order_1", metadata: { a: 1 } },
  });
  const byStripe = await dub.track.sale({ ...order, paymentProcessor: "stripe", invoiceId: "in_1" });
  assert.deepEqual(byStripe, { ...paid, sale: null });

  const stranger = new Dub({ token: "dub_wrong", serverURL: EDGE });
  await assert.rejects(stranger.track.lead({ clickId, eventName: "x", customerExternalId: "y" }), errors.Unauthorized);
  await assert.rejects(dub.track.sale({ ...order, amount: -1 }), errors.BadRequest);
  await assert.rejects(dub.track.lead({ clickId, eventName: "x", customerExternalId: "" }), errors.BadRequest);
  await assert.rejects(dub.links.create({ url: "https://sdk.example" }), errors.NotFound);
}

// PiMMs
{
  const { Pimms } = require("pimms");
  const errors = require("pimms/models/errors");
  const pimms = new Pimms({ token: SECRET, serverURL: EDGE });
  const clickId = await click("pim.example", "lena");

  const lead = await pimms.track.lead({ clickId, eventName: "Register", externalId: "pimms_1", customerEmail: "l@sdk.example" });
  assert.deepEqual(lead, {
    click: { id: clickId }, customer: { name: null, email: "l@sdk.example", avatar: null, externalId: "pimms_1" },
  });
  const order = { externalId: "pimms_1", amount: 1200 };
  const paid = await pimms.track.sale({ ...order, paymentProcessor: "shopify", invoiceId: "pimms_order_1" });
  assert.deepEqual(paid.sale, {
    amount: 1200, currency: "usd", paymentProcessor: "shopify", invoiceId: "pimms_order_1", metadata: null,
  });
  assert.equal((await pimms.track.sale({ ...order, paymentProcessor: "stripe", invoiceId: "in_2" })).sale, null);

  const stranger = new Pimms({ token: "pimms_wrong", serverURL: EDGE });
  await assert.rejects(stranger.track.lead({ clickId, eventName: "x", externalId: "y" }), errors.Unauthorized);
  await assert.rejects(pimms.track.sale({ ...order, amount: -1, paymentProcessor: "paddle" }), errors.BadRequest);
}
