/*
 * What stands before each of the other files here: the queue of calls that t.js reads when it
 * starts. It starts late on a page that the browser prerenders, which nobody sees yet; the page
 * may call the programme's functions before that.
 */
if (!window.tributary)
  window.tributary = function () {
    (tributary.q = tributary.q || []).push(arguments);
  };
