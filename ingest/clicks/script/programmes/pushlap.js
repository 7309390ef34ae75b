/*
 * What stands before t.js under the address of Push Lap Growth's script (Referly): its parameters,
 * its functions and events for the page, and the cookies by which visitors who came before the move
 * are known. Their names begin with the programme's id, which may stand in the script's address.
 */
((script) => {
  const data = script.dataset;
  const programme = data.programId || new URL(script.src).searchParams.get("programId");
  if (!data.names) data.names = "tributary_id pimms_id dub_id";
  if (!data.params) data.params = "via ref fpr fp_ref aff referral";
  if (programme) {
    data.programId = programme;
    data.names += " " + programme + "_affiliate_referral";
    data.params += " " + programme + "_affiliate_ref";
  }
  const tell = (name, detail) => dispatchEvent(new CustomEvent(name, { detail }));
  const show = () => {
    const { clickId, affiliateId } = tributary;
    window.affiliateRef = affiliateId;
    // Pages listen below the script's element, and expect the second event for every visitor.
    const told = () => {
      if (clickId) tell("affiliate_id_ready", { ref: affiliateId, clickId });
      tell("affiliate_referral_ready");
    };
    if (document.readyState == "loading") document.addEventListener("DOMContentLoaded", told, { once: true });
    else setTimeout(told);
  };
  tributary("ready", () => {
    show();
    document.addEventListener("tributary", show);
  });
  window.getPushLapAffiliateInfo = () => {
    const { clickId = null, affiliateId: ref = null } = tributary;
    return { ref, clickId, storageType: "cookies" };
  };
  // Pages call these when somebody signs up or buys. Leads come from the backend, sales from Stripe.
  window.createPushLapEmail = window.createPushLapSale = window.pushLapTrackAddToCart = async () => null;
})(document.currentScript);
