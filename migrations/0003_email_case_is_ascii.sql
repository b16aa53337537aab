-- Addresses are compared without regard to the case of A to Z, whatever the locale of the database: in a Turkish one,
-- lower('INFO') is not 'info', so that an account was not found by its own address in lower case.
--
-- While this runs, accounts can be read but not added. Where a database of such a locale has two accounts that differ in
-- case alone, it is refused and changes nothing: only their owners can say which of the two is to stay.
--
-- Nodes of the version before may go on beside new ones: the new index refuses their duplicates, too. Their logins are
-- right, but read all accounts, because they look for the index that is dropped here; end them soon where there are many.
create unique index users_email_ascii_key on users (lower(email collate "C"));
drop index users_email_key;
