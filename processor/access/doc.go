// Package access decides who may see which figures on the dashboard and its API: it logs people in
// by password or OpenID Connect, knows programs by their tokens and affiliates by the links that
// were made for them, and answers everybody else with 401.
//
// What a caller may see comes from the users file on every request, so that a change of the file
// counts at once, for sessions too.
package access
