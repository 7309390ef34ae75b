/* Tributary: <script defer src="https://edge.example.com/t.js" data-key="pk_..."></script> */
(function (w, d, n) {
  if (w.tributary) return;
  var s = d.currentScript || d.querySelector('script[src*="t.js"]');
  if (!s) return;
  function attr(k) { return s.getAttribute('data-' + k) || ''; }
  var api = attr('api-host') || new URL(s.src, location.href).origin;
  var consent = attr('consent'), q = new URLSearchParams(location.search), days = +attr('days') || 90;
  function may() { return consent !== 'denied' && !n.globalPrivacyControl; }

  function read(k) {
    if (!may()) return '';
    var m = d.cookie.match('(?:^|; )' + k + '=([^;]*)');
    if (m) return decodeURIComponent(m[1]);
    try { return localStorage.getItem(k) || ''; } catch (e) { return ''; }
  }
  function keep(k, v, days) {
    if (!may() || !v) return;
    var h = location.hostname.replace(/^www\./, '');
    d.cookie = k + '=' + encodeURIComponent(v) + ';path=/;samesite=lax;max-age=' + days * 86400 +
      (/\.[a-z]/i.test(h) ? ';domain=' + h : '');
    try { localStorage.setItem(k, v); } catch (e) {}
  }

  /* UUIDv7: RFC 9562, section 5.7 */
  function uuid() {
    var b = crypto.getRandomValues(new Uint8Array(16)), t = Date.now(), i, x = '';
    for (i = 5; i >= 0; i--) { b[i] = t % 256; t = Math.floor(t / 256); }
    b[6] = b[6] & 15 | 112; b[8] = b[8] & 63 | 128;
    for (i = 0; i < 16; i++) x += (/^(4|6|8|10)$/.test(i) ? '-' : '') + (b[i] + 256).toString(16).slice(1);
    return x;
  }

  var via = q.get('via') || q.get('ref') || '', given = q.get('dub_id') || q.get('pimms_id') || '';
  var affiliate = via || attr('affiliate') || read('tributary_affiliate'), stored = read('tributary_click');
  var fresh = via || (given && given !== stored) || /[?&](utm_|gclid|fbclid|msclkid|ttclid)/.test(location.search);
  var id = fresh && given || uuid(), visitor = '', t;

  function send(trigger, click, properties) {
    var url = api + '/v1/click', body = JSON.stringify({
      key: attr('key'), program_id: attr('program') || attr('program-id'), affiliate_id: affiliate,
      click_id: click, visitor_id: may() ? visitor : '', url: location.href, referrer: d.referrer,
      event_time: Date.now(), trigger: trigger, consent: consent, properties: properties
    });
    if (!n.sendBeacon || !n.sendBeacon(url, body))
      fetch(url, { method: 'POST', body: body, keepalive: true }).catch(function () {});
  }

  w.tributary = t = {
    clickId: fresh || !stored ? id : stored,
    affiliateId: affiliate,
    track: function (trigger, properties) { send(trigger, uuid(), properties); },
    consent: function (v) {
      consent = v || consent;
      t.visitorId = visitor = may() ? read('visitor_id') || uuid() : '';
      keep('visitor_id', visitor, 365);
      keep('tributary_click', t.clickId, days);
      keep('tributary_affiliate', affiliate, days);
    }
  };
  t.consent();
  w.affiliateId = affiliate;
  w.pimms_id = t.clickId;
  send(fresh ? 'link' : 'pageview', id);
})(window, document, navigator);
