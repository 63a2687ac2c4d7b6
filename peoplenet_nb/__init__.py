"""PeopleNet in notebooks."""
