package schemas

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// User is one person or program that may see figures, as the users file describes it.
type User struct {
	Name string `json:"name"`

	// At least one of these says how the user is recognised.
	PasswordHash string   `json:"password_hash"` // bcrypt, as `processor dashboard password` prints it
	OIDCEmail    string   `json:"oidc_email"`    // an address that the OpenID provider has verified
	OIDCSubject  string   `json:"oidc_subject"`  // or the provider's own id of the user, which never changes
	TokenHashes  []string `json:"token_hashes"`  // SHA-256 of bearer tokens, as `processor dashboard token` prints it

	Role       string   `json:"role"`       // owner, analyst or affiliate
	Workspaces []string `json:"workspaces"` // ids; AllWorkspaces: all that there are
	Affiliate  string   `json:"affiliate"`  // of role affiliate: whose figures the user sees
}

// AllWorkspaces in a user's list stands for every workspace.
const AllWorkspaces = "*"

// userRoles are the roles of the users file.
var userRoles = []string{"owner", "analyst", "affiliate"}

// ReadUsers reads the users file and checks it as a whole. An error holds every fault with its
// line, its column and a hint. No fault repeats a hash.
func ReadUsers(path string) ([]User, error) {
	data, err := readFile(path, maxWorkspacesBytes)
	if err != nil {
		return nil, fmt.Errorf("read users: %w (hint: --users names a JSON array that this user may read)", err)
	}
	list, err := parseUsers(path, data)
	if err != nil {
		return nil, fmt.Errorf("read users:\n%w", err)
	}
	return list, nil
}

// parseUsers reads the text of a users file; name stands in the faults.
func parseUsers(name string, data []byte) ([]User, error) {
	var list []User
	c := &usersCheck{strictFile: strictFile{name: name, data: data}, taken: make(map[string]string)}
	if c.decode(&list) {
		c.check(list)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return list, nil
}

// usersCheck finds what is wrong with the values and mends their spelling.
type usersCheck struct {
	strictFile
	taken map[string]string // field and value → the user that has it
}

func (c *usersCheck) check(list []User) {
	if len(list) == 0 && len(c.faults) == 0 {
		c.fault("", "the list is empty "+
			`(hint: [{"name":"ada","password_hash":"$2a$…","role":"owner","workspaces":["acme"]}])`)
	}
	for i := range list {
		u, path := &list[i], "["+strconv.Itoa(i)+"]"
		if u.Name == "" || len(u.Name) > maxKeyBytes || strings.ContainsFunc(u.Name, notInKey) {
			c.fault(path+".name", "the name %q is empty, longer than %d bytes or has spaces in it (hint: \"name\":\"ada\")",
				u.Name, maxKeyBytes)
		}
		c.claim("name", u.Name, path+".name", u.Name)
		c.checkCredentials(u, path)
		c.checkRole(u, path)
	}
}

// claim reports a value that another user has. The value itself is not repeated.
func (c *usersCheck) claim(field, value, path, user string) {
	if value == "" {
		return
	}
	if other, twice := c.taken[field+"\x00"+value]; twice {
		c.fault(path, "this %s is also that of user %q (hint: it belongs to one user)", field, other)
	}
	c.taken[field+"\x00"+value] = user
}

var (
	// The cost is 10 to 14: less can be guessed fast, and more keeps a processor busy for seconds with
	// every attempt.
	bcryptPattern = regexp.MustCompile(`^\$2[aby]\$1[0-4]\$[./A-Za-z0-9]{53}$`)
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (c *usersCheck) checkCredentials(u *User, path string) {
	if u.PasswordHash == "" && u.OIDCEmail == "" && u.OIDCSubject == "" && len(u.TokenHashes) == 0 {
		c.fault(path, "user %q can never be recognised (hint: give password_hash, oidc_email, oidc_subject or token_hashes)",
			u.Name)
	}
	if u.PasswordHash != "" && !bcryptPattern.MatchString(u.PasswordHash) {
		c.fault(path+".password_hash", "this is no bcrypt hash of cost 10 to 14 (hint: processor dashboard password)")
	}
	if u.OIDCEmail != "" {
		u.OIDCEmail = strings.ToLower(u.OIDCEmail)
		if at := strings.IndexByte(u.OIDCEmail, '@'); at < 1 || strings.ContainsFunc(u.OIDCEmail, notInKey) {
			c.fault(path+".oidc_email", "%q is no address (hint: ada@example.com)", u.OIDCEmail)
		}
		c.claim("oidc_email", u.OIDCEmail, path+".oidc_email", u.Name)
	}
	c.claim("oidc_subject", u.OIDCSubject, path+".oidc_subject", u.Name)
	for i, hash := range u.TokenHashes {
		at := path + ".token_hashes[" + strconv.Itoa(i) + "]"
		if !sha256Pattern.MatchString(hash) {
			c.fault(at, "this is no SHA-256 in 64 small hexadecimal digits (hint: processor dashboard token)")
			continue
		}
		c.claim("token hash", hash, at, u.Name)
	}
}

func (c *usersCheck) checkRole(u *User, path string) {
	if !slices.Contains(userRoles, u.Role) {
		c.fault(path+".role", "%q is no role (hint: %s)", u.Role, strings.Join(userRoles, ", "))
	}
	if len(u.Workspaces) == 0 {
		c.fault(path+".workspaces", `user %q may see no workspace (hint: "workspaces":["acme"], or ["*"] for all)`, u.Name)
	}
	for i, id := range u.Workspaces {
		if id == "" || len(id) > maxKeyBytes || strings.ContainsFunc(id, notInKey) {
			c.fault(path+".workspaces["+strconv.Itoa(i)+"]", "%q is no workspace's id (hint: acme)", id)
		}
	}
	isAffiliate := u.Role == "affiliate"
	switch {
	case isAffiliate && u.Affiliate == "":
		c.fault(path, `user %q has role affiliate and no affiliate (hint: "affiliate":"lena", the id in links)`, u.Name)
	case !isAffiliate && u.Affiliate != "":
		c.fault(path+".affiliate", "user %q is %s and sees more than one affiliate "+
			`(hint: "role":"affiliate", or leave affiliate out)`, u.Name, u.Role)
	case isAffiliate && slices.Contains(u.Workspaces, AllWorkspaces):
		// The same id may be another person's elsewhere.
		c.fault(path+".workspaces", `an affiliate's id means somebody in one workspace (hint: name the workspaces)`)
	}
}
