/*
 * What stands before t.js under the address of Push Lap Growth's script: visitors who came before
 * the move are known by the cookies of that script, whose names begin with the programme's id.
 */
((data) => {
  data.names = (data.names || "tributary_id pimms_id dub_id") + " " + data.programId + "_affiliate_referral";
  data.params = (data.params || "via fpr fp_ref aff referral") + " " + data.programId + "_affiliate_ref";
})(document.currentScript.dataset);
